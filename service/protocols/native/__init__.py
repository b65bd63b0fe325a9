"""The typed API: images to classes, series to forecasts, the same over REST and gRPC."""
