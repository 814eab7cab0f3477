"""Fault injection: break processes, connections and databases, record a history, and check it afterwards."""
