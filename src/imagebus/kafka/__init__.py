"""A real Apache Kafka on this machine, without Docker: fetched, set up for frames, started and stopped."""
