// Room Leafcutter.
