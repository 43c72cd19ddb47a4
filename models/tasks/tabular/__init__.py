"""What the tasks on tables share."""
