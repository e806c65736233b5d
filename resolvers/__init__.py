"""What happens: reads that are more than a row, actions, money, provisioning."""
