"""The two servers: what is the same for every request of a transport, whatever API family it belongs to."""
