"""What stands in the schema before a table is replaced: whose it is, who may read it, what depends on it."""

from dataclasses import dataclass, field

from schemas.columns import Table
from warehouse.feeds.postgres_session import Session
from warehouse.feeds.source import literal, quoted

MARK = "Published by Ratecard."
"""Ends the comment of each table of ours: only such a table is ever replaced."""


@dataclass
class Standing:
    """A published table as it is, and what forbids to replace it."""

    name: str
    oid: int
    owner: str
    problems: list[str] = field(default_factory=list)


def standing(session: Session, schema: str, tables: tuple[Table, ...]) -> list[Standing]:
    """Tables of these names that are in the schema, each with what forbids to replace it."""
    found = []
    for oid, name, kind, owner, may, comment, secured in session.ask(
        "select c.oid::bigint, c.relname::text, c.relkind::text, o.rolname::text, pg_has_role(c.relowner, 'usage'), "
        "coalesce(obj_description(c.oid, 'pg_class'), ''), c.relrowsecurity "
        "from pg_class c join pg_roles o on o.oid = c.relowner join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname = $1 and c.relname = any($2::text[]) and c.relkind not in ('i', 'I') order by c.relname",
        schema,
        "{" + ",".join(table.name for table in tables) + "}",
    ):
        table = Standing(name, oid, owner)
        if kind != "r" or not comment.endswith(MARK):
            table.problems.append(
                f"{schema}.{name} is there and is not a table that Ratecard published (its comment does not end with "
                f"'{MARK}'): rename it, or publish to another --schema"
            )
        elif not may:
            table.problems.append(
                f"{schema}.{name} belongs to {owner}, of which this role is no member: publish as {owner}, or "
                f"`grant {owner} to` this role"
            )
        else:
            if secured:
                table.problems.append(f"row level security of {schema}.{name} would be lost: disable it")
            table.problems += [
                f"{what} would be lost: drop it, and make it again afterwards" for what in _dependents(session, oid)
            ]
            table.problems += _views_of_others(session, oid)
        found.append(table)
    return found


def _dependents(session: Session, oid: int) -> list[str]:
    """What depends on a table and is not made again: everything but its own parts, indexes, and plain views."""
    return [
        what
        for (what,) in session.ask(
            "select distinct pg_describe_object(d.classid, d.objid, d.objsubid) from pg_depend d "
            "left join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid "
            "left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid "
            "left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid "
            "left join pg_class v on v.oid = r.ev_class "
            "where d.deptype in ('n', 'a') and ("
            "  d.refclassid = 'pg_class'::regclass and d.refobjid = $1::bigint::oid or d.refclassid = 'pg_type'::regclass and d.refobjid in ("
            "    select t.oid from pg_type t join pg_class o on o.reltype in (t.oid, t.typelem) where o.oid = $1::bigint::oid)) "
            "and not coalesce(c.relkind in ('i', 'I'), false) "
            "and not coalesce(k.contype = 'p' and k.conrelid = $1::bigint::oid, false) "
            "and not coalesce(v.relkind = 'v' and r.rulename = '_RETURN', false) order by 1",
            oid,
        )
    ]


def _views_of_others(session: Session, oid: int) -> list[str]:
    return [
        f"the view {view} reads it and belongs to {owner}: only its owner can point it at the new table. Grant {owner} to this "
        "role with the right to create in the view's schema, or drop the view and make it again afterwards"
        for view, owner in session.ask(
            f"select v.oid::regclass::text, o.rolname::text {_VIEWS} join pg_roles o on o.oid = v.relowner "
            "where not (pg_has_role(v.relowner, 'usage') and has_schema_privilege(v.relnamespace, 'create')) order by 1",
            oid,
        )
    ]


_VIEWS = (
    "from (select distinct r.ev_class from pg_depend d join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid "
    "where d.refclassid = 'pg_class'::regclass and d.refobjid = $1::bigint::oid and r.rulename = '_RETURN') u "
    "join pg_class v on v.oid = u.ev_class and v.relkind = 'v'"
)


def rebinding(session: Session, oid: int) -> list[str]:
    """Statements that point the views on a table at the one that has its name by then.

    A view is replaced, not dropped: its grants, its owner, its comment and the views on it stay.
    """
    return [
        statement
        for (statement,) in session.ask(
            "select format('create or replace view %s%s as %s', v.oid::regclass, "
            "coalesce(' with (' || array_to_string(v.reloptions, ', ') || ')', ''), pg_get_viewdef(v.oid)) "
            f"{_VIEWS} order by 1",
            oid,
        )
    ]


def grants(session: Session, oid: int, onto: str) -> list[str]:
    """Statements that give the table `onto` the grants of a table and of its columns, and no others."""
    by_default = session.ask(
        "select distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end "
        "from pg_class c cross join lateral aclexplode(c.relacl) a where c.oid = to_regclass($1) and a.grantee <> c.relowner",
        onto,
    )
    return [f"revoke all on {onto} from {role}" for (role,) in by_default] + [
        statement
        for (statement,) in session.ask(
            f"select format('grant %s%s on {onto.replace('%', '%%')} to %s%s', a.privilege_type, "
            "coalesce(' (' || quote_ident(t.attname) || ')', ''), "
            "case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end, "
            "case when a.is_grantable then ' with grant option' else '' end) "
            "from pg_class c cross join lateral ("
            "  select null::name as attname, e.* from aclexplode(c.relacl) e union all "
            "  select t.attname, e.* from pg_attribute t cross join lateral aclexplode(t.attacl) e where t.attrelid = c.oid"
            ") a left join lateral (select a.attname) t on true "
            "where c.oid = $1::bigint::oid and a.grantee <> c.relowner order by 1",
            oid,
        )
    ]


def other_indexes(session: Session, oid: int, ours: str) -> list[str]:
    """Statements that make again the indexes that others have added."""
    return [
        statement
        for (statement,) in session.ask(
            "select pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indexrelid "
            "where i.indrelid = $1::bigint::oid and c.relname <> $2 order by 1",
            oid,
            ours,
        )
    ]


def readers(session: Session, names: list[str]) -> list[str]:
    """Sessions that hold one of the tables: process, application, user, since when, what."""
    return [
        who
        for (who,) in session.ask(
            "select distinct format('process %s (%s, user %s, since %s)', a.pid, "
            "coalesce(nullif(a.application_name, ''), 'unnamed'), a.usename, to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ')) "
            "from pg_locks l join pg_stat_activity a using (pid) "
            "where l.granted and l.pid <> pg_backend_pid() and l.relation = any("
            f"array[{', '.join(f'to_regclass({literal(name)})' for name in names)}]::oid[]) order by 1"
        )
    ]


def identifier(schema: str, name: str) -> str:
    """A table's whole name, quoted."""
    return f"{quoted(schema)}.{quoted(name)}"
