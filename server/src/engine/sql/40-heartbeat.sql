-- When Reprise last looked after an open generation: its last event, or the engine's last full round if that found the
-- next check armed and not overdue. No write per row. A final state does not age.
create or replace view reprise.heartbeats as
  select g.id,
    case
      when g.finished_at is not null then g.changed_at
      when stamp.round_at is not null and (g.next_at > stamp.round_at - interval '5 seconds' or g.lease_until > stamp.round_at)
        then greatest(g.changed_at, stamp.round_at)
      else g.changed_at
    end as updated_at
  from reprise.generations g
  cross join (select max(round_at) as round_at from reprise.nodes) stamp;
