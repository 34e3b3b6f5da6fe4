-- One budget for all processes: what a credential has used, what runs, and one function that decides what may start.
alter table archive.credentials
  drop column remaining,
  add column used integer not null default 0,
  add column unread integer not null default 0,
  add column unread_at timestamptz,
  add column reset_seconds bigint,
  add column paced_until timestamptz,
  add column hour_started_at timestamptz,
  add column hour_requests integer not null default 0,
  add column guessed_until timestamptz,
  add column guesses integer not null default 0;
comment on column archive.credentials.limit_per_hour is 'GitHub''s primary limit, as of the last answer that told; it holds until reset_at.';
comment on column archive.credentials.used is 'Requests of the current window by GitHub''s count, others'' included.';
comment on column archive.credentials.unread is 'Requests that ended without an answer''s count: in none, until an answer to a request that began after unread_at.';
comment on column archive.credentials.reset_at is 'When the window ends, by the database''s clock.';
comment on column archive.credentials.reset_seconds is 'The same by GitHub''s clock, as its header said it: it tells one window from the next.';
comment on column archive.credentials.paced_until is 'Up to when the requests started so far use up the pace; at most two minutes ahead.';
comment on column archive.credentials.hour_started_at is 'The hour of our own count, for GITHUB_MAX_REQUESTS_PER_HOUR and for operators.';
comment on column archive.credentials.hour_requests is 'Our own requests of that hour that are over, answers that nothing had changed left out.';
comment on column archive.credentials.guessed_until is 'The end of the last pause whose length GitHub did not name.';
comment on column archive.credentials.guesses is 'How many such pauses came within an hour of each other: each is twice as long.';

create table archive.credential_holders (
  credential text not null references archive.credentials on delete cascade,
  holder uuid not null,
  requests integer not null check (requests >= 0),
  leased_until timestamptz not null,
  primary key (credential, holder)
);
comment on table archive.credential_holders is 'How many requests each process runs on each credential. A row of a dead process lapses within a minute.';

alter table archive.repositories add column credential text;
comment on column archive.repositories.credential is 'Whose budget pays for it, as of its last poll.';

-- One call tells what ended and asks what may start. `holder_running` is a whole count, not a difference: a call whose
-- outcome was lost is set right by the next one. clock_timestamp(): a call may have waited for its turn.
create function archive.ask_budget(
  asked_credential text, asking_holder uuid, holder_running integer, wanted integer, counted integer, ended_unread integer,
  reading jsonb, pause jsonb, reserve_percent integer, most_per_hour integer
) returns table (granted integer, wait_ms double precision, is_paused boolean, reason text)
language plpgsql as $$
declare
  -- https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
  -- At most 100 requests at once, and 900 points a minute: 600 in a burst and 5 a second are 900 in any minute, and 18,000
  -- in an hour, more than any primary limit.
  most_at_once constant integer := 100;
  most_in_burst constant integer := 600;
  pace_per_second constant integer := 5;
  known archive.credentials;
  instant timestamptz;
  lost integer;
  busy integer;
  room integer;
  wait interval := interval '50 milliseconds';
  cap integer;
  pause_end timestamptz;
begin
  -- Counts of the last moments may be lost with the server: GitHub's next answer tells them again. A pause may not.
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
  select holder_running + coalesce(sum(requests), 0) into busy
  from archive.credential_holders where credential = asked_credential and holder <> asking_holder;

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
      -- Answers to requests that were already on their way tell of the same limit once more.
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
  room := least(wanted, most_at_once - busy);
  if known.reset_at > instant then
    cap := floor(known.limit_per_hour * (100 - reserve_percent) / 100.0);
    room := least(room, cap - known.used - known.unread - busy);
    if known.used + known.unread >= cap and (known.paused_until is null or known.paused_until < known.reset_at) then
      known.paused_until := known.reset_at;
      known.pause_reason := format('%s of %s requests are used, %s are left to others',
        known.used + known.unread, known.limit_per_hour, known.limit_per_hour - cap);
    end if;
    known.paced_until := greatest(known.paced_until, instant);
    room := least(room, floor(most_in_burst - extract(epoch from known.paced_until - instant) * pace_per_second)::integer);
  end if;
  if most_per_hour is not null then
    room := least(room, most_per_hour - known.hour_requests - busy);
    pause_end := known.hour_started_at + interval '1 hour';
    if known.hour_requests >= most_per_hour and (known.paused_until is null or known.paused_until < pause_end) then
      known.paused_until := pause_end;
      known.pause_reason := format('GITHUB_MAX_REQUESTS_PER_HOUR: %s requests are used', known.hour_requests);
    end if;
  end if;
  is_paused := coalesce(known.paused_until > instant, false);
  if is_paused then
    room := 0;
    wait := known.paused_until - instant;
  end if;
  granted := greatest(room, 0);
  if known.reset_at > instant then
    known.paced_until := known.paced_until + make_interval(secs => granted::float8 / pace_per_second);
  end if;

  update archive.credentials set
    paused_until = known.paused_until, pause_reason = known.pause_reason, limit_per_hour = known.limit_per_hour,
    used = known.used, unread = known.unread, unread_at = known.unread_at, reset_at = known.reset_at, reset_seconds = known.reset_seconds, observed_at = known.observed_at,
    paced_until = known.paced_until, hour_started_at = known.hour_started_at, hour_requests = known.hour_requests,
    guessed_until = known.guessed_until, guesses = known.guesses
  where credential = asked_credential;
  insert into archive.credential_holders as mine (credential, holder, requests, leased_until)
  values (asked_credential, asking_holder, holder_running + granted, instant + interval '60 seconds')
  on conflict (credential, holder) do update set requests = excluded.requests, leased_until = excluded.leased_until;
  wait_ms := extract(epoch from wait) * 1000;
  reason := known.pause_reason;
  return next;
end
$$;
comment on function archive.ask_budget is 'Tells how requests of a credential ended, and how many more may start now, by the database''s clock.';
