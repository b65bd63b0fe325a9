"""The neutral core: types, the backend port, the catalog, the checks, the engine; knows no protocol, no backend."""
