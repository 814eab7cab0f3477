"""Between the messages of the contract and the values of the domain, one module per noun."""
