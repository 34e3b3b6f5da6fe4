-- Last statement of reports. As a single statement without a `set` clause it is inlined, and planned with constant times.
create function audit.unread_counts(list text, span_start timestamptz, span_end timestamptz, of_repository text)
returns table (unread text, count bigint)
language sql stable parallel safe
as $$
  select cause, count(*)
  from (
    select case
      when log_state = 'pending' then 'log pending'
      when log_state = 'failed' then 'log failed: ' || coalesce(log_reason, 'unknown')
      when list = 'actions' and action_uses_left_out > 0 then 'list of actions cut'
      when list = 'permissions' and permissions_left_out > 0 then 'list of permissions cut'
      when case list when 'permissions' then permissions_left_out else action_uses_left_out end is not null then null
      when log_state = 'archived' then 'log not searched for ' || case list when 'runners' then 'its runner' else list end
      when log_reason in ('expired', 'deleted', 'removed', 'empty') then 'log absent: ' || log_reason
    end as cause
    from audit.jobs
    where completed_at >= span_start
      and completed_at < span_end
      and (of_repository = '' or repository = of_repository)
    union all
    select 'job without an end time'
    from audit.jobs
    where completed_at is null
      and conclusion is distinct from 'skipped'
      and (of_repository = '' or repository = of_repository)
    union all
    -- A window is a span of the runs' created_at, and a job may complete 35 days after its run was created.
    select 'gap: ' || kind
    from audit.gaps
    where kind in (
        'window_open', 'second_full', 'list_incomplete', 'object_unusable', 'run_open', 'never_completed', 'attempt_gone', 'job_not_loaded'
      )
      and (window_start is null or window_start < span_end)
      and (window_end is null or window_end > span_start - interval '35 days')
      and (of_repository = '' or repository = of_repository)
  ) as causes
  where cause is not null
  group by cause
$$;

comment on function audit.unread_counts(text, timestamptz, timestamptz, text) is 'Counts by cause what could not be read of the jobs that completed in a span: pending, failed, missing and unextracted logs, truncated lists, and spans never listed. list is actions, permissions or runners. An empty repository means all.';
