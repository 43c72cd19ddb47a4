"""Coverage-guided fuzzing of untrusted input: REST, tensors, run files, files of the model server, data files, cells.

Each target is a module with these names: `MODULES`, whose coverage guides the fuzzer; `seeds`, valid inputs that it
mutates; `WORDS`, its dictionary; and `Target`, whose instances take bytes, raise an exception for a finding, and have
to be closed.
"""
