"""What can be stood up: hosts made ready, images, clusters, CNIs and their profiles."""
