"""run.sh, install.sh and stop.sh: everything installed, started, watched and stopped by one command.

``bare``, ``options``, ``dotenv``, ``known``, ``cameras``, ``environment``, ``progress`` and ``stop_request``
run before anything is installed, on the machine's own Python: they import nothing but the standard library
and each other.
"""
