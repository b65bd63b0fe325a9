"""The application: settings, composition, life cycle."""
