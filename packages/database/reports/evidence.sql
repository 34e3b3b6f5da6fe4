-- Everything known about one job, as one JSON document.
--
-- GitHub's facts, and the hashes and seals of the archived objects.
--
-- Parameters:
--   job_id  GitHub's id of the job
-- Columns:
--   evidence  the document: job (with keys, version ids and SHA-256s of its log and record, and the source of its job object),
--     attempts of its run, steps, action_uses, annotations, permissions, runner, holds, tombstones (of a removed log), its objects
--     in the store, each with the number of its seal, and the seal of its record, which is null until the record is sealed, and for
--     a limited auditor
-- Cannot know:
--   What was not archived. The proof is the record in the store, and this document is its index: compare the SHA-256.
-- Examples:
--   actions-archive report evidence 61901817921 > evidence.json

select json_build_object(
  'job', to_json(job),
  'attempts', coalesce((
    select json_agg(attempt order by attempt.run_attempt) from audit.attempts as attempt where attempt.run_id = job.run_id
  ), '[]'),
  'steps', coalesce((
    select json_agg(step order by step.step_number) from audit.steps as step where step.job_id = job.job_id
  ), '[]'),
  'action_uses', coalesce((
    select json_agg(used order by used.line_number, used.step_number) from audit.action_uses as used where used.job_id = job.job_id
  ), '[]'),
  'annotations', coalesce((
    select json_agg(annotation order by annotation.line_number)
    from audit.annotations as annotation
    where annotation.job_id = job.job_id
  ), '[]'),
  'permissions', coalesce((
    select json_object_agg(permission.scope, permission.access order by permission.scope)
    from audit.permissions as permission
    where permission.job_id = job.job_id
  ), '{}'),
  'runner', (select to_json(runner) from audit.runners as runner where runner.job_id = job.job_id),
  'holds', coalesce((
    select json_agg(hold order by hold.hold_id) from audit.holds as hold where hold.job_id = job.job_id
  ), '[]'),
  'tombstones', coalesce((
    select json_agg(tombstone order by tombstone.object_key)
    from audit.tombstones as tombstone
    where tombstone.job_id = job.job_id
  ), '[]'),
  'objects', coalesce((
    select json_agg(stored order by stored.object_key)
    from audit.objects as stored
    where stored.object_key = any (
      array[job.record_key, job.log_key] || array(select object_key from audit.tombstones where tombstones.job_id = job.job_id)
    )
  ), '[]'),
  'seal', (
    select to_json(seal)
    from audit.objects as record
    join audit.seals as seal on seal.sequence = record.seal
    where record.object_key = job.record_key
  )
) as evidence
from audit.jobs as job
where job.job_id = :'job_id'::bigint;
