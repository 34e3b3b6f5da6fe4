-- One call reports the requests that ended and asks how many may start. `holder_running` is an absolute count, not a difference: the
-- next call repairs one whose outcome was lost. clock_timestamp(), since a call may have waited for the row's lock.
create or replace function archive.request_budget(
  asked_credential text, asking_holder uuid, holder_running integer, wanted integer, counted integer, ended_unread integer,
  reading jsonb, pause jsonb, reserve_percent integer, most_per_hour integer
) returns table (granted integer, wait_ms double precision, is_paused boolean, reason text)
language plpgsql as $$
declare
  -- https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
  -- At most 100 requests at once, and 900 points a minute. A request that asks costs one; an answer that nothing changed, too.
  most_at_once constant integer := 100;
  most_a_minute constant integer := 900;
  known archive.credentials;
  instant timestamptz;
  this_second bigint;
  started integer;
  has_limits boolean;
  rivals integer;
  lost integer;
  busy integer;
  room integer;
  wait interval := interval '0';
  cap integer;
  pause_end timestamptz;
begin
  -- Counts of the last moments may be lost with the server: GitHub's next answer includes those of the hour again. A pause may not.
  if pause is null then perform set_config('synchronous_commit', 'off', true); end if;
  select * into known from archive.credentials where credential = asked_credential for update;
  if not found then
    insert into archive.credentials (credential) values (asked_credential) on conflict do nothing;
    select * into strict known from archive.credentials where credential = asked_credential for update;
  end if;
  instant := clock_timestamp();

  with lapsed as (
    delete from archive.credential_holders
    where credential = asked_credential and leased_until <= instant and holder <> asking_holder
    returning requests
  ) select coalesce(sum(requests), 0) into lost from lapsed;
  select holder_running + coalesce(sum(requests), 0), count(*) filter (where waiting > 0) into busy, rivals
  from archive.credential_holders where credential = asked_credential and holder <> asking_holder;

  -- The seconds that have passed move the counts on. A clock that was set back moves nothing: they stay a little longer.
  this_second := floor(extract(epoch from instant));
  known.starts := (array_fill(0, array[least(greatest(this_second - known.starts_second, 0), 63)::integer]) || known.starts)[1:63];
  known.starts_second := this_second;
  select sum(requests) into started from unnest(known.starts) as requests;

  -- What ended. A reading of another window begins a new count; one of a window that is over says nothing any more.
  if known.reset_at is null or known.reset_at <= instant then
    known.used := 0;
    known.unread := 0;
  end if;
  if reading is not null and (reading->>'resetInMs')::float8 > 0 then
    pause_end := instant + make_interval(secs => (reading->>'resetInMs')::float8 / 1000);
    if abs(known.reset_seconds - (reading->>'resetAtSeconds')::bigint) <= 60 then
      known.used := greatest(known.used, (reading->>'used')::integer);
      known.reset_at := least(known.reset_at, pause_end);
    else
      known.used := (reading->>'used')::integer;
      known.reset_at := pause_end;
      known.reset_seconds := (reading->>'resetAtSeconds')::bigint;
    end if;
    known.limit_per_hour := (reading->>'limit')::integer;
    known.observed_at := instant;
    if known.unread_at < instant - make_interval(secs => (reading->>'beganAgoMs')::float8 / 1000) then known.unread := 0; end if;
  end if;
  if ended_unread + lost > 0 then
    known.unread := known.unread + ended_unread + lost;
    known.unread_at := instant;
  end if;
  if known.hour_started_at is null or known.hour_started_at <= instant - interval '1 hour' then
    known.hour_started_at := instant;
    known.hour_requests := 0;
  end if;
  known.hour_requests := known.hour_requests + counted + lost;

  if pause is not null then
    pause_end := instant + make_interval(secs => (pause->>'waitMs')::float8 / 1000);
    if (pause->>'isGuess')::boolean then
      -- Answers to requests that were already sent report the same limit again.
      if known.guessed_until is null or known.guessed_until <= instant then
        known.guesses := case when known.guessed_until > instant - interval '1 hour' then known.guesses + 1 else 1 end;
        known.guessed_until := least(
          instant + make_interval(secs => (pause->>'waitMs')::float8 / 1000 * 2 ^ least(known.guesses - 1, 16)),
          instant + interval '1 hour');
      end if;
      pause_end := known.guessed_until;
    end if;
    if known.paused_until is null or known.paused_until < pause_end then
      known.paused_until := pause_end;
      known.pause_reason := pause->>'reason';
    end if;
  end if;

  -- What may start. A request that runs may be in GitHub's count already or not: it is held to be not.
  room := most_at_once - busy;
  if known.reset_at > instant then
    cap := floor(known.limit_per_hour * (100 - reserve_percent) / 100.0);
    room := least(room, cap - known.used - known.unread - busy);
    if known.used + known.unread >= cap and (known.paused_until is null or known.paused_until < known.reset_at) then
      known.paused_until := known.reset_at;
      known.pause_reason := format('%s of %s requests are used, %s are left to others',
        known.used + known.unread, known.limit_per_hour, known.limit_per_hour - cap);
    end if;
  end if;
  if most_per_hour is not null then
    room := least(room, most_per_hour - known.hour_requests - busy);
    pause_end := known.hour_started_at + interval '1 hour';
    if known.hour_requests >= most_per_hour and (known.paused_until is null or known.paused_until < pause_end) then
      known.paused_until := pause_end;
      known.pause_reason := format('GITHUB_MAX_REQUESTS_PER_HOUR: %s requests are used', known.hour_requests);
    end if;
  end if;
  -- A server without a limit in its answers of the last two hours has none: a reset is at most an hour ahead. 63 seconds are counted:
  -- the one in which a minute begins counts whole, and a request may be up to two seconds on its way. 971 arrived within 60
  -- seconds where 61 were counted and the machine had six times the work that it could do.
  has_limits := coalesce(known.reset_at > instant - interval '1 hour', false);
  if has_limits then room := least(room, most_a_minute - started); end if;
  -- Other processes that wait get as much of it.
  granted := least(wanted, ceil(greatest(room, 0) / (rivals + 1.0)));
  is_paused := coalesce(known.paused_until > instant, false);
  if is_paused then
    granted := 0;
    wait := known.paused_until - instant;
  elsif granted < wanted and has_limits and started >= most_a_minute then
    -- Until the oldest second with requests counts no more.
    select make_interval(secs => (this_second + 64 - max(age) - extract(epoch from instant))::float8) into wait
    from unnest(known.starts) with ordinality as second (requests, age) where requests > 0;
  elsif granted < wanted then
    wait := interval '50 milliseconds';
  end if;
  known.starts[1] := known.starts[1] + granted;

  update archive.credentials set
    paused_until = known.paused_until, pause_reason = known.pause_reason, limit_per_hour = known.limit_per_hour,
    used = known.used, unread = known.unread, unread_at = known.unread_at, reset_at = known.reset_at, reset_seconds = known.reset_seconds, observed_at = known.observed_at,
    starts = known.starts, starts_second = known.starts_second, hour_started_at = known.hour_started_at, hour_requests = known.hour_requests,
    guessed_until = known.guessed_until, guesses = known.guesses
  where credential = asked_credential;
  insert into archive.credential_holders as mine (credential, holder, requests, waiting, leased_until)
  values (asked_credential, asking_holder, holder_running + granted, wanted - granted, instant + interval '60 seconds')
  on conflict (credential, holder) do update set
    requests = excluded.requests, waiting = excluded.waiting, leased_until = excluded.leased_until;
  wait_ms := extract(epoch from wait) * 1000;
  reason := known.pause_reason;
  return next;
end
$$;
comment on function archive.request_budget is 'Records how requests of a credential ended, and returns how many may start now, by the database''s clock.';
