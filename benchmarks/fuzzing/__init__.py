"""Coverage-guided fuzzing of what strangers can send: REST, tensors, run files, config files of the model server,
tables of files and their cells.

Each target is a module with these names: `MODULES`, whose coverage guides the fuzzer; `seeds`, valid inputs that it
changes; `WORDS`, pieces that it puts in; and `Target`, whose instances take bytes and raise anything for a finding,
until they are closed.
"""
