CREATE TABLE "step_result" (
	"project" text NOT NULL,
	"activity" text NOT NULL,
	"inputs_digest" text NOT NULL,
	"result" jsonb NOT NULL,
	"run" text NOT NULL,
	"candidate" integer NOT NULL,
	"size_bytes" bigint NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"used_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "step_result_project_activity_inputs_digest_pk" PRIMARY KEY("project","activity","inputs_digest"),
	CONSTRAINT "step_result_inputs_digest_form" CHECK ("inputs_digest" ~ '^sha256:[0-9a-f]{64}$')
);
--> statement-breakpoint
ALTER TABLE "run" ADD COLUMN "rerun_of" text;--> statement-breakpoint
ALTER TABLE "run" ADD COLUMN "rerun_from" text;--> statement-breakpoint
ALTER TABLE "run" ADD COLUMN "until" text;--> statement-breakpoint
ALTER TABLE "run" ADD COLUMN "fresh" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "step" ADD COLUMN "inputs_digest" text;--> statement-breakpoint
ALTER TABLE "step" ADD COLUMN "reused" text;--> statement-breakpoint
ALTER TABLE "step_result" ADD CONSTRAINT "step_result_run_run_id_fk" FOREIGN KEY ("run") REFERENCES "public"."run"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "step_result_used" ON "step_result" USING btree ("used_at");--> statement-breakpoint
ALTER TABLE "run" ADD CONSTRAINT "run_rerun_of" FOREIGN KEY ("rerun_of") REFERENCES "public"."run"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "step" ADD CONSTRAINT "step_reused" FOREIGN KEY ("reused") REFERENCES "public"."run"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "step_inputs" ON "step" USING btree ("inputs_digest") WHERE "checkpoint" is not null;