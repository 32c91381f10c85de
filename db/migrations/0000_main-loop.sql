CREATE TABLE "approval" (
	"id" text PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"run" text NOT NULL,
	"node" text NOT NULL,
	"kind" text NOT NULL,
	"round" integer NOT NULL,
	"digest" text NOT NULL,
	"evidence" jsonb NOT NULL,
	"status" text DEFAULT 'open' NOT NULL,
	"since" timestamp with time zone DEFAULT now() NOT NULL,
	"deadline" timestamp with time zone NOT NULL,
	"decision_id" text,
	"decision" text,
	"decided_by" text,
	"verified" boolean,
	"reason" text,
	"decided_at" timestamp with time zone,
	CONSTRAINT "approval_round" UNIQUE("run","kind","round"),
	CONSTRAINT "approval_id_prefix" CHECK (starts_with("id", 'apr_')),
	CONSTRAINT "approval_kind_word" CHECK ("kind" in ('candidate', 'schema')),
	CONSTRAINT "approval_status_word" CHECK ("status" in ('open', 'approved', 'rejected', 'expired', 'void')),
	CONSTRAINT "approval_decision_word" CHECK ("decision" in ('approve', 'reject', 'expire')),
	CONSTRAINT "approval_digest_form" CHECK ("digest" ~ '^sha256:[0-9a-f]{64}$'),
	CONSTRAINT "approval_decided" CHECK (("status" in ('open', 'void')) = ("decision_id" is null))
);
--> statement-breakpoint
CREATE TABLE "artifact" (
	"digest" text PRIMARY KEY NOT NULL,
	"size_bytes" bigint NOT NULL,
	"media_type" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"touched_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "artifact_digest_form" CHECK ("digest" ~ '^sha256:[0-9a-f]{64}$')
);
--> statement-breakpoint
CREATE TABLE "artifact_reference" (
	"owner" text NOT NULL,
	"role" text NOT NULL,
	"digest" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "artifact_reference_owner_role_digest_pk" PRIMARY KEY("owner","role","digest")
);
--> statement-breakpoint
CREATE TABLE "dataset" (
	"id" text PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"name" text NOT NULL,
	"key" text NOT NULL,
	"label" text NOT NULL,
	"task" text NOT NULL,
	"last_ingest" integer DEFAULT 0 NOT NULL,
	"last_version" integer DEFAULT 0 NOT NULL,
	"accepted_rows" bigint DEFAULT 0 NOT NULL,
	"schema" jsonb,
	"schema_digest" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "dataset_project_name_unique" UNIQUE("project","name"),
	CONSTRAINT "dataset_id_prefix" CHECK (starts_with("id", 'ds_')),
	CONSTRAINT "dataset_name_form" CHECK ("name" ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
	CONSTRAINT "dataset_task_word" CHECK ("task" in ('classification', 'regression'))
);
--> statement-breakpoint
CREATE TABLE "dataset_version" (
	"dataset" text NOT NULL,
	"version" integer NOT NULL,
	"digest" text NOT NULL,
	"rows" integer NOT NULL,
	"files" jsonb NOT NULL,
	"schema" jsonb NOT NULL,
	"watermark" jsonb NOT NULL,
	"parents" jsonb NOT NULL,
	"profile" text,
	"quarantine" text,
	"quarantined" integer NOT NULL,
	"run" text NOT NULL,
	"annotators" jsonb NOT NULL,
	"label_counts" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "dataset_version_dataset_version_pk" PRIMARY KEY("dataset","version"),
	CONSTRAINT "dataset_version_content" UNIQUE("dataset","digest"),
	CONSTRAINT "dataset_version_digest_form" CHECK ("digest" ~ '^sha256:[0-9a-f]{64}$')
);
--> statement-breakpoint
CREATE TABLE "ingest" (
	"dataset" text NOT NULL,
	"number" integer NOT NULL,
	"artifact" text NOT NULL,
	"rows" integer NOT NULL,
	"quarantined" integer NOT NULL,
	"format" text NOT NULL,
	"columns" jsonb NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "ingest_dataset_number_pk" PRIMARY KEY("dataset","number"),
	CONSTRAINT "ingest_format_word" CHECK ("format" in ('csv', 'jsonl', 'parquet'))
);
--> statement-breakpoint
CREATE TABLE "annotation" (
	"id" text PRIMARY KEY NOT NULL,
	"task" text NOT NULL,
	"annotator" text NOT NULL,
	"fence" integer NOT NULL,
	"round" integer NOT NULL,
	"label" text,
	"outcome" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "annotation_once" UNIQUE("task","annotator","fence"),
	CONSTRAINT "annotation_id_prefix" CHECK (starts_with("id", 'ann_')),
	CONSTRAINT "annotation_outcome_word" CHECK ("outcome" in ('accepted', 'surplus'))
);
--> statement-breakpoint
CREATE TABLE "label" (
	"dataset" text NOT NULL,
	"key" text NOT NULL,
	"label" text NOT NULL,
	"source" text NOT NULL,
	"annotators" jsonb NOT NULL,
	"batch" text,
	"resolved_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "label_dataset_key_pk" PRIMARY KEY("dataset","key"),
	CONSTRAINT "label_source_word" CHECK ("source" in ('given', 'human', 'truth', 'auto', 'pseudo'))
);
--> statement-breakpoint
CREATE TABLE "label_batch" (
	"id" text PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"dataset" text NOT NULL,
	"run" text NOT NULL,
	"node" text NOT NULL,
	"workflow_id" text NOT NULL,
	"status" text DEFAULT 'open' NOT NULL,
	"round" integer DEFAULT 1 NOT NULL,
	"task" text NOT NULL,
	"classes" jsonb,
	"deadline" timestamp with time zone NOT NULL,
	"reminded" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"closed_at" timestamp with time zone,
	CONSTRAINT "label_batch_node" UNIQUE("run","node"),
	CONSTRAINT "label_batch_id_prefix" CHECK (starts_with("id", 'bat_')),
	CONSTRAINT "label_batch_status_word" CHECK ("status" in ('open', 'review', 'accepted', 'partial', 'cancelled')),
	CONSTRAINT "label_batch_task_word" CHECK ("task" in ('classification', 'regression'))
);
--> statement-breakpoint
CREATE TABLE "label_decision" (
	"batch" text NOT NULL,
	"decision_id" text NOT NULL,
	"decision" text NOT NULL,
	"by" text NOT NULL,
	"verified" boolean NOT NULL,
	"reason" text,
	"tasks" jsonb,
	"answer" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "label_decision_batch_decision_id_pk" PRIMARY KEY("batch","decision_id"),
	CONSTRAINT "label_decision_decision_word" CHECK ("decision" in ('accept', 'send-back', 'close', 'deadline', 'cancel'))
);
--> statement-breakpoint
CREATE TABLE "label_task" (
	"id" text PRIMARY KEY NOT NULL,
	"batch" text NOT NULL,
	"position" integer NOT NULL,
	"key" text NOT NULL,
	"item" jsonb NOT NULL,
	"suggestion" jsonb,
	"reason" text NOT NULL,
	"probability" double precision,
	"score" double precision,
	"status" text DEFAULT 'open' NOT NULL,
	"fence" integer DEFAULT 0 NOT NULL,
	"label" text,
	"annotator" text,
	"annotated_at" timestamp with time zone,
	CONSTRAINT "label_task_key" UNIQUE("batch","key"),
	CONSTRAINT "label_task_position" UNIQUE("batch","position"),
	CONSTRAINT "label_task_id_prefix" CHECK (starts_with("id", 'task_')),
	CONSTRAINT "label_task_status_word" CHECK ("status" in ('open', 'labelled', 'skipped', 'auto')),
	CONSTRAINT "label_task_reason_word" CHECK ("reason" in ('strategy', 'explore')),
	CONSTRAINT "label_task_answer" CHECK (("status" in ('labelled', 'auto')) = ("label" is not null))
);
--> statement-breakpoint
CREATE TABLE "lease" (
	"task" text PRIMARY KEY NOT NULL,
	"batch" text NOT NULL,
	"labeler" text NOT NULL,
	"fence" integer NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "alias" (
	"model" text NOT NULL,
	"name" text NOT NULL,
	"version" integer NOT NULL,
	"moved_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "alias_model_name_pk" PRIMARY KEY("model","name"),
	CONSTRAINT "alias_name_word" CHECK ("name" in ('champion'))
);
--> statement-breakpoint
CREATE TABLE "alias_history" (
	"model" text NOT NULL,
	"number" integer NOT NULL,
	"name" text NOT NULL,
	"from_version" integer,
	"to_version" integer NOT NULL,
	"kind" text NOT NULL,
	"decision_id" text NOT NULL,
	"by" text NOT NULL,
	"verified" boolean NOT NULL,
	"reason" text,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "alias_history_model_number_pk" PRIMARY KEY("model","number"),
	CONSTRAINT "alias_history_decision" UNIQUE("model","decision_id"),
	CONSTRAINT "alias_history_name_word" CHECK ("name" in ('champion')),
	CONSTRAINT "alias_history_kind_word" CHECK ("kind" in ('promotion', 'rollback'))
);
--> statement-breakpoint
CREATE TABLE "model" (
	"id" text PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"name" text NOT NULL,
	"last_version" integer DEFAULT 0 NOT NULL,
	"last_move" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "model_name" UNIQUE("project","name"),
	CONSTRAINT "model_id_prefix" CHECK (starts_with("id", 'mod_')),
	CONSTRAINT "model_name_form" CHECK ("name" ~ '^[a-z0-9][a-z0-9_-]{0,62}$')
);
--> statement-breakpoint
CREATE TABLE "model_file" (
	"model" text NOT NULL,
	"version" integer NOT NULL,
	"path" text NOT NULL,
	"digest" text NOT NULL,
	"size_bytes" bigint NOT NULL,
	"media_type" text NOT NULL,
	CONSTRAINT "model_file_model_version_path_pk" PRIMARY KEY("model","version","path")
);
--> statement-breakpoint
CREATE TABLE "model_version" (
	"model" text NOT NULL,
	"version" integer NOT NULL,
	"run" text NOT NULL,
	"digest" text NOT NULL,
	"metrics" jsonb NOT NULL,
	"dataset" text NOT NULL,
	"dataset_version" text NOT NULL,
	"details" jsonb NOT NULL,
	"card" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "model_version_model_version_pk" PRIMARY KEY("model","version"),
	CONSTRAINT "model_version_run" UNIQUE("run"),
	CONSTRAINT "model_version_digest_form" CHECK ("digest" ~ '^sha256:[0-9a-f]{64}$')
);
--> statement-breakpoint
CREATE TABLE "outbox" (
	"number" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "outbox_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"id" text NOT NULL,
	"project" text NOT NULL,
	"kind" text NOT NULL,
	"workflow_id" text NOT NULL,
	"name" text NOT NULL,
	"task_queue" text,
	"payload" jsonb NOT NULL,
	"attributes" jsonb NOT NULL,
	"summary" text,
	"coalesce_key" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"sent_at" timestamp with time zone,
	"gone" boolean DEFAULT false NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_error" text,
	CONSTRAINT "outbox_id" UNIQUE("id"),
	CONSTRAINT "outbox_id_prefix" CHECK (starts_with("id", 'out_')),
	CONSTRAINT "outbox_kind_word" CHECK ("kind" in ('start', 'signal'))
);
--> statement-breakpoint
CREATE TABLE "pipeline" (
	"id" text PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"name" text NOT NULL,
	"dataset" text NOT NULL,
	"model" text NOT NULL,
	"version" integer NOT NULL,
	"paused" boolean DEFAULT false NOT NULL,
	"last_run" integer DEFAULT 0 NOT NULL,
	"accepted_rows_at_last_run" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "pipeline_name" UNIQUE("project","name"),
	CONSTRAINT "pipeline_dataset" UNIQUE("dataset","id"),
	CONSTRAINT "pipeline_id_prefix" CHECK (starts_with("id", 'pip_')),
	CONSTRAINT "pipeline_name_form" CHECK ("name" ~ '^[a-z0-9][a-z0-9_-]{0,62}$')
);
--> statement-breakpoint
CREATE TABLE "pipeline_version" (
	"pipeline" text NOT NULL,
	"version" integer NOT NULL,
	"source" jsonb NOT NULL,
	"document" jsonb NOT NULL,
	"digest" text NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "pipeline_version_pipeline_version_pk" PRIMARY KEY("pipeline","version")
);
--> statement-breakpoint
CREATE TABLE "audit" (
	"project" text NOT NULL,
	"number" integer NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"actor" text NOT NULL,
	"verified" boolean NOT NULL,
	"action" text NOT NULL,
	"subject" text NOT NULL,
	"details" jsonb NOT NULL,
	"previous" text NOT NULL,
	"hash" text NOT NULL,
	CONSTRAINT "audit_project_number_pk" PRIMARY KEY("project","number")
);
--> statement-breakpoint
CREATE TABLE "idempotency_key" (
	"project" text NOT NULL,
	"subject" text NOT NULL,
	"route" text NOT NULL,
	"key" text NOT NULL,
	"body_digest" text NOT NULL,
	"status" integer,
	"body" jsonb,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_key_project_subject_route_key_pk" PRIMARY KEY("project","subject","route","key")
);
--> statement-breakpoint
CREATE TABLE "project" (
	"name" text PRIMARY KEY NOT NULL,
	"last_audit" integer DEFAULT 0 NOT NULL,
	"audit_head" text DEFAULT '' NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "token" (
	"id" text PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"subject" text NOT NULL,
	"role" text NOT NULL,
	"hash" text NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"revoked_at" timestamp with time zone,
	CONSTRAINT "token_id_prefix" CHECK (starts_with("id", 'tok_')),
	CONSTRAINT "token_role_word" CHECK ("role" in ('viewer', 'labeler', 'reviewer', 'operator', 'admin'))
);
--> statement-breakpoint
CREATE TABLE "event" (
	"run" text NOT NULL,
	"number" integer NOT NULL,
	"type" text NOT NULL,
	"data" jsonb NOT NULL,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "event_run_number_pk" PRIMARY KEY("run","number")
);
--> statement-breakpoint
CREATE TABLE "metric" (
	"run" text NOT NULL,
	"name" text NOT NULL,
	"candidate" integer NOT NULL,
	"step" integer NOT NULL,
	"value" double precision NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "metric_run_name_candidate_step_pk" PRIMARY KEY("run","name","candidate","step")
);
--> statement-breakpoint
CREATE TABLE "run" (
	"id" text PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"pipeline" text NOT NULL,
	"pipeline_version" integer NOT NULL,
	"number" integer NOT NULL,
	"start_key" text NOT NULL,
	"trigger" text NOT NULL,
	"started_by" text NOT NULL,
	"verified" boolean NOT NULL,
	"workflow_id" text NOT NULL,
	"overrides" jsonb NOT NULL,
	"specification" jsonb NOT NULL,
	"specification_digest" text NOT NULL,
	"pinned" jsonb,
	"status" text DEFAULT 'running' NOT NULL,
	"stage" text,
	"waiting" jsonb,
	"plan" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"metrics" jsonb,
	"verdict" jsonb,
	"model_version" integer,
	"evaluation" text,
	"failure" jsonb,
	"accepted_rows_at_open" bigint NOT NULL,
	"last_event" integer DEFAULT 0 NOT NULL,
	"cancelled_by" text,
	"opened_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone,
	CONSTRAINT "run_number" UNIQUE("pipeline","number"),
	CONSTRAINT "run_start_key" UNIQUE("pipeline","start_key"),
	CONSTRAINT "run_id_prefix" CHECK (starts_with("id", 'run_')),
	CONSTRAINT "run_trigger_word" CHECK ("trigger" in ('manual', 'rows', 'schedule', 'cli')),
	CONSTRAINT "run_status_word" CHECK ("status" in ('running', 'waiting', 'succeeded', 'rejected', 'failed', 'cancelled')),
	CONSTRAINT "run_finished" CHECK (("status" in ('running', 'waiting')) = ("finished_at" is null)),
	CONSTRAINT "run_waiting" CHECK (("status" = 'waiting') = ("waiting" is not null))
);
--> statement-breakpoint
CREATE TABLE "step" (
	"workflow_id" text NOT NULL,
	"workflow_run_id" text NOT NULL,
	"activity_id" text NOT NULL,
	"run" text NOT NULL,
	"node" text NOT NULL,
	"wait" boolean DEFAULT false NOT NULL,
	"fence" integer DEFAULT 1 NOT NULL,
	"worker" text NOT NULL,
	"attempt" integer NOT NULL,
	"status" text NOT NULL,
	"result" jsonb,
	"summary" text DEFAULT '' NOT NULL,
	"progress" jsonb,
	"checkpoint" text,
	"checkpoint_step" integer,
	"failure" jsonb,
	"started_at" timestamp with time zone NOT NULL,
	"finished_at" timestamp with time zone,
	CONSTRAINT "step_workflow_id_workflow_run_id_activity_id_pk" PRIMARY KEY("workflow_id","workflow_run_id","activity_id"),
	CONSTRAINT "step_status_word" CHECK ("status" in ('pending', 'running', 'waiting', 'succeeded', 'skipped', 'failed', 'cancelled')),
	CONSTRAINT "step_checkpoint" CHECK (("checkpoint" is null) = ("checkpoint_step" is null))
);
--> statement-breakpoint
ALTER TABLE "approval" ADD CONSTRAINT "approval_run_run_id_fk" FOREIGN KEY ("run") REFERENCES "public"."run"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "artifact_reference" ADD CONSTRAINT "artifact_reference_digest_artifact_digest_fk" FOREIGN KEY ("digest") REFERENCES "public"."artifact"("digest") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "dataset" ADD CONSTRAINT "dataset_project_project_name_fk" FOREIGN KEY ("project") REFERENCES "public"."project"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "dataset_version" ADD CONSTRAINT "dataset_version_dataset_dataset_id_fk" FOREIGN KEY ("dataset") REFERENCES "public"."dataset"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "dataset_version" ADD CONSTRAINT "dataset_version_profile_artifact_digest_fk" FOREIGN KEY ("profile") REFERENCES "public"."artifact"("digest") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "dataset_version" ADD CONSTRAINT "dataset_version_quarantine_artifact_digest_fk" FOREIGN KEY ("quarantine") REFERENCES "public"."artifact"("digest") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ingest" ADD CONSTRAINT "ingest_dataset_dataset_id_fk" FOREIGN KEY ("dataset") REFERENCES "public"."dataset"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ingest" ADD CONSTRAINT "ingest_artifact_artifact_digest_fk" FOREIGN KEY ("artifact") REFERENCES "public"."artifact"("digest") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "annotation" ADD CONSTRAINT "annotation_task_label_task_id_fk" FOREIGN KEY ("task") REFERENCES "public"."label_task"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "label" ADD CONSTRAINT "label_batch_label_batch_id_fk" FOREIGN KEY ("batch") REFERENCES "public"."label_batch"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "label" ADD CONSTRAINT "label_dataset_dataset_id_fk" FOREIGN KEY ("dataset") REFERENCES "public"."dataset"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "label_batch" ADD CONSTRAINT "label_batch_project_project_name_fk" FOREIGN KEY ("project") REFERENCES "public"."project"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "label_batch" ADD CONSTRAINT "label_batch_dataset_dataset_id_fk" FOREIGN KEY ("dataset") REFERENCES "public"."dataset"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "label_batch" ADD CONSTRAINT "label_batch_run_run_id_fk" FOREIGN KEY ("run") REFERENCES "public"."run"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "label_decision" ADD CONSTRAINT "label_decision_batch_label_batch_id_fk" FOREIGN KEY ("batch") REFERENCES "public"."label_batch"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "label_task" ADD CONSTRAINT "label_task_batch_label_batch_id_fk" FOREIGN KEY ("batch") REFERENCES "public"."label_batch"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "lease" ADD CONSTRAINT "lease_task_label_task_id_fk" FOREIGN KEY ("task") REFERENCES "public"."label_task"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alias" ADD CONSTRAINT "alias_version" FOREIGN KEY ("model","version") REFERENCES "public"."model_version"("model","version") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "alias_history" ADD CONSTRAINT "alias_history_to" FOREIGN KEY ("model","to_version") REFERENCES "public"."model_version"("model","version") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "model" ADD CONSTRAINT "model_project_project_name_fk" FOREIGN KEY ("project") REFERENCES "public"."project"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "model_file" ADD CONSTRAINT "model_file_version" FOREIGN KEY ("model","version") REFERENCES "public"."model_version"("model","version") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "model_file" ADD CONSTRAINT "model_file_digest_artifact_digest_fk" FOREIGN KEY ("digest") REFERENCES "public"."artifact"("digest") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "model_version" ADD CONSTRAINT "model_version_model_model_id_fk" FOREIGN KEY ("model") REFERENCES "public"."model"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "model_version" ADD CONSTRAINT "model_version_data" FOREIGN KEY ("dataset","dataset_version") REFERENCES "public"."dataset_version"("dataset","digest") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "model_version" ADD CONSTRAINT "model_version_card_artifact_digest_fk" FOREIGN KEY ("card") REFERENCES "public"."artifact"("digest") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "pipeline" ADD CONSTRAINT "pipeline_project_project_name_fk" FOREIGN KEY ("project") REFERENCES "public"."project"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "pipeline" ADD CONSTRAINT "pipeline_dataset_dataset_id_fk" FOREIGN KEY ("dataset") REFERENCES "public"."dataset"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "pipeline" ADD CONSTRAINT "pipeline_model_model_id_fk" FOREIGN KEY ("model") REFERENCES "public"."model"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "pipeline_version" ADD CONSTRAINT "pipeline_version_pipeline_pipeline_id_fk" FOREIGN KEY ("pipeline") REFERENCES "public"."pipeline"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "audit" ADD CONSTRAINT "audit_project_project_name_fk" FOREIGN KEY ("project") REFERENCES "public"."project"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "token" ADD CONSTRAINT "token_project_project_name_fk" FOREIGN KEY ("project") REFERENCES "public"."project"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "event" ADD CONSTRAINT "event_run_run_id_fk" FOREIGN KEY ("run") REFERENCES "public"."run"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "run" ADD CONSTRAINT "run_evaluation_artifact_digest_fk" FOREIGN KEY ("evaluation") REFERENCES "public"."artifact"("digest") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "run" ADD CONSTRAINT "run_pipeline_version" FOREIGN KEY ("pipeline","pipeline_version") REFERENCES "public"."pipeline_version"("pipeline","version") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "step" ADD CONSTRAINT "step_checkpoint_artifact_digest_fk" FOREIGN KEY ("checkpoint") REFERENCES "public"."artifact"("digest") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "step" ADD CONSTRAINT "step_run_run_id_fk" FOREIGN KEY ("run") REFERENCES "public"."run"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "approval_open" ON "approval" USING btree ("run") WHERE "status" = 'open';--> statement-breakpoint
CREATE INDEX "approval_project" ON "approval" USING btree ("project","since","id");--> statement-breakpoint
CREATE INDEX "artifact_touched" ON "artifact" USING btree ("touched_at");--> statement-breakpoint
CREATE INDEX "artifact_reference_digest" ON "artifact_reference" USING btree ("digest");--> statement-breakpoint
CREATE INDEX "dataset_version_profile" ON "dataset_version" USING btree ("profile");--> statement-breakpoint
CREATE INDEX "dataset_version_quarantine" ON "dataset_version" USING btree ("quarantine");--> statement-breakpoint
CREATE INDEX "ingest_artifact" ON "ingest" USING btree ("artifact");--> statement-breakpoint
CREATE INDEX "label_batch_project" ON "label_batch" USING btree ("project","created_at","id");--> statement-breakpoint
CREATE INDEX "label_batch_live" ON "label_batch" USING btree ("status") WHERE "status" in ('open', 'review');--> statement-breakpoint
CREATE INDEX "lease_batch" ON "lease" USING btree ("batch","labeler");--> statement-breakpoint
CREATE INDEX "model_file_digest" ON "model_file" USING btree ("digest");--> statement-breakpoint
CREATE INDEX "model_version_card" ON "model_version" USING btree ("card");--> statement-breakpoint
CREATE UNIQUE INDEX "outbox_coalesce" ON "outbox" USING btree ("coalesce_key") WHERE "sent_at" is null;--> statement-breakpoint
CREATE INDEX "outbox_due" ON "outbox" USING btree ("number") WHERE "sent_at" is null;--> statement-breakpoint
CREATE INDEX "outbox_workflow" ON "outbox" USING btree ("workflow_id","number") WHERE "sent_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "token_hash" ON "token" USING btree ("hash");--> statement-breakpoint
CREATE INDEX "token_project" ON "token" USING btree ("project","created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "run_live" ON "run" USING btree ("pipeline") WHERE "status" in ('running', 'waiting');--> statement-breakpoint
CREATE UNIQUE INDEX "run_live_workflow" ON "run" USING btree ("workflow_id") WHERE "status" in ('running', 'waiting');--> statement-breakpoint
CREATE INDEX "run_project" ON "run" USING btree ("project","opened_at","id");--> statement-breakpoint
CREATE INDEX "run_pipeline_opened" ON "run" USING btree ("pipeline","opened_at");--> statement-breakpoint
CREATE INDEX "run_evaluation" ON "run" USING btree ("evaluation");--> statement-breakpoint
CREATE UNIQUE INDEX "step_wait" ON "step" USING btree ("run","node") WHERE "wait";--> statement-breakpoint
CREATE INDEX "step_run" ON "step" USING btree ("run","node","started_at");--> statement-breakpoint
CREATE INDEX "step_checkpoint_artifact" ON "step" USING btree ("checkpoint");