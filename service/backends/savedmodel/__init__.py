"""SavedModels run in this process; the only package of the service that imports tensorflow."""
