"""What tests share: banks, networks, commands run in the process."""
