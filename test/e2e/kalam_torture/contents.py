"""What the tables of a namespace hold, read as the journals tell it."""

from .load import COMMON, KEYS_OF_A_WRITER, OWN, WRITERS


class Contents:
    """Reads namespace `name`, in which are the tables of namespace k or what a backup has made of them. `users` are the writers'
    clients."""

    def __init__(self, users, name, chance):
        self.users, self.name, self.chance = users, name, chance
        where = f"WHERE namespace_id = '{name}'"
        self.storages = dict(users[0].rows(f"SELECT table_name, storage_id FROM system.tables {where}"))

    def of_writer(self, number):
        """The cells of that writer."""
        found = {}
        own = [name for name in self.storages if name.startswith(f"own{number}_")]
        assert len(own) <= 1, f"two tables of writer {number}: {own}"
        if own:
            found["table",] = (f"k.{own[0]}", self.storages[own[0]])
            found.update(self.rows_of(number, OWN, own[0]))
        for table in COMMON:
            found.update(self.rows_of(number, table, table.removeprefix("k.")))
            found.update(self.column_of(number, table))
        return found

    def rows_of(self, number, cell_name, table):
        """The cells of the writer's rows, read in more ways than one."""
        client, table = self.users[number], f"{self.name}.{table}"
        found = {}
        rows = client.dicts(f"SELECT * FROM {table}")
        for row in rows:
            id = row["id"]
            assert id not in found, f"{table}: row twice: {id}"
            assert row["n"] == id, f"{table}: half a row: {row}"
            assert 0 <= id < WRITERS * KEYS_OF_A_WRITER, f"{table}: a row that nobody wrote: {row}"
            found[id] = row["v"]
        assert client.count(table) == len(found), f"{table}: COUNT(*) is not the number of rows"
        mine = {id: v for id, v in found.items() if id // KEYS_OF_A_WRITER == number}
        foreign = cell_name == OWN or COMMON[cell_name][0] == "USER"
        assert len(mine) == len(found) or not foreign, f"{table}: rows of others: {found}"
        for id in self.chance.sample(sorted(mine), min(2, len(mine))):
            by_key = client.rows(f"SELECT v FROM {table} WHERE id = {id}")
            assert by_key == [[mine[id]]], f"{table}: row {id} is {mine[id]} in a scan and {by_key} by its key"
        return {("row", cell_name, id): v for id, v in mine.items()}

    def column_of(self, number, table):
        """The cell of the writer's column, and that each row has its default."""
        name = f"e{number}"
        here = f"{self.name}.{table.removeprefix('k.')}"
        default = [
            column["column_default"]
            for column in self.users[number].dicts(f"DESCRIBE TABLE {here}")
            if column["column_name"] == name
        ]
        if not default:
            return {}
        value = int(default[0])
        other = self.users[number].count(here, f"WHERE {name} IS DISTINCT FROM {value}")
        assert other == 0, f"{here}: {other} rows do not have the default {value} of {name}"
        return {("column", table, name): value}
