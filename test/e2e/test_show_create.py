"""SHOW CREATE TABLE gives a statement that makes the same table again."""

import pytest

TABLES = {
    "keyless": "CREATE TABLE {t} (v TEXT)",
    "every_type": """CREATE SHARED TABLE {t} (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), b BOOLEAN NOT NULL DEFAULT TRUE,
        s SMALLINT DEFAULT -5, i INT COMMENT 'it''s a comment', f FLOAT DEFAULT 1.5, d DOUBLE, t TEXT DEFAULT 'it''s "quoted"',
        n TEXT DEFAULT NULL, ts TIMESTAMP DEFAULT NOW(), dt DATETIME DEFAULT '2024-01-02T03:04:05Z', da DATE DEFAULT '2024-02-29',
        ti TIME DEFAULT '12:34:56.5', j JSON DEFAULT '{{"a": [1, "x"]}}', "by" BYTES DEFAULT '\\xDEAD', e EMBEDDING(2) DEFAULT '[1, 2.5]',
        u UUID DEFAULT 'f47ac10b-58cc-4372-a567-0e02b2c3d479', dc DECIMAL(12, 3) DEFAULT 1.5, "select" TEXT, "Order" INT)
        WITH (ACCESS_LEVEL = 'PUBLIC', FLUSH_POLICY = 'rows:100,interval:60', COMPRESSION = 'lz4', ENABLE_REPLICATION = true)
        COMMENT 'all of it'""",
    "composite": """CREATE USER TABLE {t} (a INT, day DATE, room TEXT NOT NULL, n INT CHECK (n > 0 -- more
        ), PRIMARY KEY (day, room, a), CONSTRAINT later CHECK (n > a)) PARTITION BY (day, room)
        WITH (MAX_ROWS_PER_USER = 100, DELETED_RETENTION_HOURS = 24, FLUSH_POLICY = 'interval:5')""",
    "serial": "CREATE TABLE {t} (id SERIAL PRIMARY KEY, other BIGSERIAL)",
    "aged": "CREATE STREAM TABLE {t} (id INT PRIMARY KEY) WITH (TTL_SECONDS = 77)",
    "sized": "CREATE STREAM TABLE {t} (id INT PRIMARY KEY) WITH (EVICTION_STRATEGY = 'size', MAX_STREAM_SIZE_BYTES = 1000)",
    "aged_and_sized": "CREATE STREAM TABLE {t} (id INT PRIMARY KEY) WITH (TTL_SECONDS = 77, MAX_STREAM_SIZE_BYTES = 1000)",
}


def shown(root, table):
    [row] = root.dicts(f"SHOW CREATE TABLE {table}")
    assert row["table_name"] == table
    return row["create_statement"]


def facts(root, ns, name):
    return (
        root.rows(f"DESCRIBE {ns}.{name}"),
        root.rows(f"SELECT table_type, options, comment FROM system.tables WHERE namespace_id = '{ns}' AND table_name = '{name}'"),
    )


@pytest.mark.parametrize("name", TABLES)
def test_it_makes_the_same_table(root, ns, name):
    table = f"{ns}.{name}"
    root.run(TABLES[name].format(t=table))
    text, before = shown(root, table), facts(root, ns, name)
    root.run(f"DROP TABLE {table}")
    root.run(text)
    assert facts(root, ns, name) == before
    assert shown(root, table) == text


def test_it_follows_alterations(root, ns):
    root.run(f"CREATE TABLE {ns}.t (id INT PRIMARY KEY, gone TEXT, n INT)")
    root.run(f"ALTER TABLE {ns}.t DROP COLUMN gone; ALTER TABLE {ns}.t ADD COLUMN added TEXT NOT NULL DEFAULT 'x'")
    root.run(f"ALTER TABLE {ns}.t MODIFY COLUMN n BIGINT; ALTER TABLE {ns}.t RENAME TO u")
    assert shown(root, f"{ns}.u") == (
        f"CREATE SHARED TABLE {ns}.u (\n  id INT PRIMARY KEY,\n  n BIGINT,\n  added TEXT NOT NULL DEFAULT 'x'\n)"
        " WITH (ACCESS_LEVEL = 'private')"
    )


def test_it_is_for_readers_of_tables(root, alice, ns):
    root.run(f"CREATE SHARED TABLE {ns}.t (id INT PRIMARY KEY); CREATE VIEW {ns}.v AS SELECT id FROM {ns}.t")
    alice.fails(f"SHOW CREATE TABLE {ns}.t", "Access denied", status=403)
    root.fails(f"SHOW CREATE TABLE {ns}.v", "is a view")
    root.fails("SHOW CREATE TABLE system.tables", "is a system table")
    root.fails(f"SHOW CREATE TABLE {ns}.missing", "(?i)not found")
