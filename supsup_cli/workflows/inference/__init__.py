"""Which task and which class: answers about images, and what is made of the answers."""
