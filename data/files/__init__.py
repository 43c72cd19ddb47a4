"""Files and folders: checksums, atomic writes, links, cached facts about files, files in spans."""
