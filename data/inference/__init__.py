"""Infers the features of tables from all their cells: facts about each column, and guesses from the facts."""
