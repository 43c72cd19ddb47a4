from pipeline.history.why import differences


def test_changes_of_settings_modules_packages_and_inputs_are_sentences():
    before = {
        "custom_config.train.epochs": 20,
        "custom_config.config.dropout": 0.3,
        "custom_config.fingerprint.models.training.trainer": "aa",
        "custom_config.fingerprint.keras": "3.15.1",
        "fingerprint.components.old": "bb",
        "input.examples": "/a/1",
        "seed": 0,
    }
    after = {
        "custom_config.train.epochs": 2,
        "custom_config.config.dropout": 0.5,
        "custom_config.fingerprint.models.training.trainer": "ab",
        "custom_config.fingerprint.keras": "3.15.2",
        "input.examples": "/a/2",
        "seed": 0,
    }

    assert differences(before, after) == [
        "setting model.dropout was 0.3, is 0.5",
        "package keras was 3.15.1, is 3.15.2",
        "models/training/trainer.py was changed",
        "setting train.epochs was 20, is 2",
        "components/old.py is no longer used",
        "input examples is new",
    ]


def test_equal_cache_keys_have_no_differences():
    assert differences({"a": 1}, {"a": 1}) == []
