"""Files and folders: checksums, writing whole, links, what is kept by size and time, patterns and spans."""
