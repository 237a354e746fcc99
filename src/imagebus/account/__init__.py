"""``imagebus account``: proves that every record below a group's commit has one outcome."""
