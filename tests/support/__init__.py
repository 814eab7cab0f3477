"""What the tests stand on: servers, ports, databases."""
