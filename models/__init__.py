"""What is learned and what is served: tasks, training and export."""
