"""What ran: the records of runs, ML Metadata, the database, clean-up."""
