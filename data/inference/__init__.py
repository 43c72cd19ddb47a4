"""What a person's tables hold, told by all of their cells: facts of each column, and what it is taken for."""
