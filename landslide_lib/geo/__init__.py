"""From study to map: georeferenced scenes, polygons, download, demo and API. Its packages are the extra `geo`."""
