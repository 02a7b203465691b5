"""Reading the registry in a process that has not imported mlflow, such as a server.

A tracking server is read by its REST interface, a database by one long-lived process of its own.
"""
