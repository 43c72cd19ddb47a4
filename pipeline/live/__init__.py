"""Published models: serving, roll-out, predictions, request samples, drift."""
