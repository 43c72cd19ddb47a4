"""Files and folders: checksums, atomic writes, links, a cache of facts about files, patterns and spans."""
