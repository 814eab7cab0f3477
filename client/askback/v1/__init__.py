"""The contract as Python: code generated from protos/askback/v1 by `make proto`. Do not edit."""
