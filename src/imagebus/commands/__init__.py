"""The sub-commands of ``imagebus`` that look at the bus."""
