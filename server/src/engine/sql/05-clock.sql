-- The time of this moment, where reprise.now() is the time at which the transaction began: what is decided after
-- waiting for a lock happens after what was decided under that lock.
create or replace function reprise.clock() returns timestamptz language sql volatile parallel safe as $$
  select clock_timestamp() + coalesce(nullif(current_setting('reprise.clock_offset', true), ''), '0')::bigint * interval '1 millisecond'
$$;
