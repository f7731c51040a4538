"""Faults in what works with many machines and much data: shards, the order that reads them, engines and databases."""

from __future__ import annotations

from .plants import CHECKPOINT, LOOP, SCHEMA, VERBS, Fault, edit

LANES = "tests/training/test_lanes.py::"
SHARDS = "tests/data/test_shards.py::"
TRAINING = "tests/runs/test_shards.py::"
JOBS = "tests/runs/test_jobs.py::"
BATCHES = "tests/distributed/test_batches.py::"
DATABASES = "tests/distributed/test_databases.py::"
SHARDING = "tests/training/test_sharding.py::"
ALIKE = f"{SHARDING}test_a_divided_model_trains_as_a_whole_one"
FILES = f"{SHARDING}test_a_checkpoint_of_shares_is_an_ordinary_one"

LIST = (
    Fault(
        "rows behind the last whole batch that are never read", LOOP,
        edit("training.lanes:LaneOrder.rows", "int(plan.pieces[lane][1].sum())", "first"),
        (f"{LANES}test_every_row_is_taken_once_in_an_epoch",),
    ),
    Fault(
        "a block that two lanes share, read twice", LOOP,
        edit("training.lanes:Lanes.pieces", "np.maximum(low - (ends - sizes)[some], 0)", "np.zeros(len(some), int)"),
        (f"{LANES}test_every_row_is_taken_once_in_an_epoch",),
    ),
    Fault(
        "every epoch in the order of the first", LOOP,
        edit("training.lanes:LaneOrder._generator", "self.epoch, lane", "0, lane"),
        (f"{LANES}test_another_epoch_is_another_order_within_and_between_windows",),
    ),
    Fault(
        "lanes that change hands with the epoch", LOOP,
        edit("training.lanes:Lanes.order", "LaneOrder(self, epoch)",
             "LaneOrder(Lanes(self.cuts, self.batch_size, self.seed + epoch), epoch)"),
        (f"{LANES}test_processes_have_blocks_of_their_own_in_every_epoch",),
    ),
    Fault(
        "an order that goes on where the last call stopped", LOOP,
        edit("training.lanes:LaneOrder._mixed", "held is None or held[0] != window", "held is None"),
        (f"{LANES}test_the_rows_of_a_step_follow_from_seed_and_step",),
    ),
    Fault(
        "one file under two names", SCHEMA,
        edit("data.table.shards:_refuse_copies", "if digest in seen:", "if False:"),
        (f"{SHARDS}test_one_file_under_two_names_is_noticed",),
    ),
    Fault(
        "shards of the same size taken for copies", SCHEMA,
        edit("data.table.shards:_refuse_copies", "hashlib.file_digest(file, \"sha256\").digest()", "b''"),
        (f"{SHARDS}test_shards_of_one_size_that_differ_are_no_copies",),
    ),
    Fault(
        "shards whose columns differ", SCHEMA,
        edit("data.table.shards:_need_one_form", "if a == b:", "if True:"),
        (f"{SHARDS}test_shards_of_different_columns_are_refused",),
    ),
    Fault(
        "a shard that is another one by now", SCHEMA,
        edit("data.table.shards:Shards.group", "if size != shard.size:", "if False:"),
        (f"{SHARDS}test_a_shard_that_went_or_changed_is_named",),
    ),
    Fault(
        "rows of the block before", SCHEMA,
        edit("data.table.shard_rows:ShardRows._kept", "- int(places[a]) * self.block", "- int(places[a])"),
        (f"{SHARDS}test_blocks_are_of_bounded_size",),
    ),
    Fault(
        "a group that is read for every call", SCHEMA,
        edit("data.table.shard_rows:ShardRows._fill", "self._here[group] = True", "pass"),
        (f"{SHARDS}test_a_group_is_read_once_and_only_if_it_is_needed",
         f"{TRAINING}test_each_process_reads_its_own_share"),
    ),
    Fault(
        "a run of another job taken over", CHECKPOINT,
        edit("runs.training.jobs:began", ".read_text(encoding=\"utf-8\") == name", ".read_text(encoding=\"utf-8\")"),
        (f"{JOBS}test_a_job_knows_its_own_run_alone",),
    ),
    Fault(
        "processes that read different shards", LOOP,
        edit("runs.training.opening:_as_told", "if found.schema.fingerprint != schema.fingerprint:", "if False:"),
        (f"{JOBS}test_a_process_that_sees_other_shards_says_so",),
    ),
    Fault(
        "draws that depend on how rows were cut", VERBS,
        edit("core.row_noise:RowKeys.__init__", "repeated or _ALIKE.get()", "repeated"),
        (f"{BATCHES}test_draws_for_rows_that_are_alike_do_not_depend_on_the_cut",),
    ),
    Fault(
        "answers without the key of their rows", VERBS,
        edit("distributed.batches:BatchVerb._columns", "return {**kept, **made}", "return made"),
        (f"{BATCHES}test_forms_agree_with_the_local_verb",),
    ),
    Fault(
        "half a table left in the database", VERBS,
        edit("distributed.databases:to_database",
             "f\"drop table {engine.dialect.identifier_preparer.quote(new)}\"", "'select 1'"),
        (f"{DATABASES}test_a_table_that_cannot_be_written_to_its_end_is_not_there",),
    ),
    Fault(
        "a norm of the gradient of one share", LOOP,
        edit("training.step:Stepper._norm",
             "self.comms.sum(total_norm([*gradients, torch.zeros(1, device=self.device)]).square()).sqrt()",
             "total_norm([*gradients, torch.zeros(1, device=self.device)])"),
        (f"{ALIKE}[recipe/vae]",),
    ),
    Fault(
        "single numbers that every process moves for itself", LOOP,
        edit("training.divided:average_numbers", "total(p.grad) / world", "p.grad"),
        (f"{ALIKE}[recipe/exemplar-vae]",),
    ),
    Fault(
        "moments of the wrong rows after a resume", CHECKPOINT,
        edit("training.shares:share", "value.detach(), like.device_mesh", "value.detach().flip(0), like.device_mesh"),
        (f"{FILES}[adamw]",),
    ),
    Fault(
        "weights of a checkpoint that no resume divides", CHECKPOINT,
        edit("training.weights:Snapshot.from_flat", "to(shares(under(\"model\", tensors), like), model.device)",
             "to(under(\"model\", tensors), model.device)"),
        (f"{FILES}[adamw]",),
    ),
    Fault(
        "a checkpoint of shares", CHECKPOINT,
        edit("training.shares:whole", "t.full_tensor().cpu()", "t.to_local().cpu()"),
        (f"{FILES}[adamw]",),
    ),
    Fault(
        "copies of whole weights in every process", LOOP,
        edit("training.weights:clone", "v.detach().clone()",
             "(v.full_tensor() if hasattr(v, 'full_tensor') else v).detach().clone()"),
        (f"{SHARDING}test_each_process_holds_half_of_weights_moments_and_copies",),
    ),
    Fault(
        "a part gathered for its call whose weights others use", LOOP,
        edit("training.grouping:Uses.fit", "all(id(module) in self.within.get(i, ()) for i in own)", "True"),
        (f"{SHARDING}test_parts_are_gathered_apart_where_their_weights_are_used_in_their_calls_alone",),
    ),
    Fault(
        "a shared weight gathered for one of its owners", LOOP,
        edit("training.grouping:Uses.fit", "not tied and ", ""),
        (f"{SHARDING}test_a_weight_that_only_one_of_two_owners_used_is_tied",),
    ),
    Fault(
        "pieces of a step that processes count differently", LOOP,
        edit("training.feed:Feed._load", "min(self.accumulate, max(1, len(rows) // self.world))", "self.accumulate"),
        ("tests/training/test_steps.py::test_every_process_has_as_many_pieces",),
    ),
)
