// Room CPMAnt.
