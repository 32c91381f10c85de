CREATE TABLE "campaign" (
	"id" text PRIMARY KEY NOT NULL,
	"project" text NOT NULL,
	"pipeline" text NOT NULL,
	"workflow_id" text NOT NULL,
	"status" text DEFAULT 'running' NOT NULL,
	"settings" jsonb NOT NULL,
	"why" text DEFAULT '' NOT NULL,
	"stop_reason" text,
	"started_by" text NOT NULL,
	"verified" boolean NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone,
	CONSTRAINT "campaign_id_prefix" CHECK (starts_with("id", 'cam_')),
	CONSTRAINT "campaign_status_word" CHECK ("status" in ('running', 'paused', 'stopped')),
	CONSTRAINT "campaign_stop_reason_word" CHECK ("stop_reason" in ('target', 'labels', 'plateau', 'deadline', 'nothing-left', 'no-answers', 'failed-runs', 'run-cancelled', 'person'))
);
--> statement-breakpoint
CREATE TABLE "campaign_decision" (
	"campaign" text NOT NULL,
	"decision_id" text NOT NULL,
	"decision" text NOT NULL,
	"by" text NOT NULL,
	"verified" boolean NOT NULL,
	"reason" text,
	"answer" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "campaign_decision_campaign_decision_id_pk" PRIMARY KEY("campaign","decision_id")
);
--> statement-breakpoint
CREATE TABLE "campaign_round" (
	"campaign" text NOT NULL,
	"round" integer NOT NULL,
	"run" text NOT NULL,
	"strategy" text NOT NULL,
	"batch_size" integer NOT NULL,
	"accuracy" jsonb,
	"gain" jsonb,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "campaign_round_campaign_round_pk" PRIMARY KEY("campaign","round")
);
--> statement-breakpoint
ALTER TABLE "run" DROP CONSTRAINT "run_trigger_word";--> statement-breakpoint
ALTER TABLE "campaign" ADD CONSTRAINT "campaign_project_project_name_fk" FOREIGN KEY ("project") REFERENCES "public"."project"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "campaign" ADD CONSTRAINT "campaign_pipeline_pipeline_id_fk" FOREIGN KEY ("pipeline") REFERENCES "public"."pipeline"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "campaign_decision" ADD CONSTRAINT "campaign_decision_campaign_campaign_id_fk" FOREIGN KEY ("campaign") REFERENCES "public"."campaign"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "campaign_round" ADD CONSTRAINT "campaign_round_campaign_campaign_id_fk" FOREIGN KEY ("campaign") REFERENCES "public"."campaign"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "campaign_round" ADD CONSTRAINT "campaign_round_run_run_id_fk" FOREIGN KEY ("run") REFERENCES "public"."run"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "campaign_live" ON "campaign" USING btree ("pipeline") WHERE "status" <> 'stopped';--> statement-breakpoint
CREATE INDEX "campaign_project" ON "campaign" USING btree ("project","created_at","id");--> statement-breakpoint
ALTER TABLE "run" ADD CONSTRAINT "run_trigger_word" CHECK ("trigger" in ('manual', 'rows', 'schedule', 'cli', 'campaign'));