CREATE TABLE "batch_labeler" (
	"batch" text NOT NULL,
	"labeler" text NOT NULL,
	"served" integer DEFAULT 0 NOT NULL,
	"gold_served" integer DEFAULT 0 NOT NULL,
	"gold_answered" integer DEFAULT 0 NOT NULL,
	"gold_right" integer DEFAULT 0 NOT NULL,
	"paused_at" timestamp with time zone,
	CONSTRAINT "batch_labeler_batch_labeler_pk" PRIMARY KEY("batch","labeler")
);
--> statement-breakpoint
CREATE TABLE "label_review" (
	"id" text PRIMARY KEY NOT NULL,
	"task" text NOT NULL,
	"reviewer" text NOT NULL,
	"fence" integer NOT NULL,
	"verdict" text NOT NULL,
	"label" text,
	"comment" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "label_review_id_prefix" CHECK (starts_with("id", 'rev_')),
	CONSTRAINT "label_review_verdict_word" CHECK ("verdict" in ('accept', 'fix', 'send-back', 'dispute'))
);
--> statement-breakpoint
CREATE TABLE "labeler" (
	"project" text NOT NULL,
	"name" text NOT NULL,
	"skills" jsonb NOT NULL,
	"languages" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "labeler_project_name_pk" PRIMARY KEY("project","name")
);
--> statement-breakpoint
ALTER TABLE "annotation" DROP CONSTRAINT "annotation_outcome_word";--> statement-breakpoint
ALTER TABLE "lease" DROP CONSTRAINT "lease_pkey";--> statement-breakpoint
ALTER TABLE "lease" ADD CONSTRAINT "lease_task_labeler_pk" PRIMARY KEY("task","labeler");--> statement-breakpoint
ALTER TABLE "annotation" ADD COLUMN "seconds" double precision;--> statement-breakpoint
ALTER TABLE "annotation" ADD COLUMN "comment" text;--> statement-breakpoint
ALTER TABLE "label_batch" ADD COLUMN "kind" text DEFAULT 'single' NOT NULL;--> statement-breakpoint
ALTER TABLE "label_batch" ADD COLUMN "policy" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "label_task" ADD COLUMN "floor" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "label_task" ADD COLUMN "wanted" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "label_task" ADD COLUMN "answered" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "label_task" ADD COLUMN "gold" text;--> statement-breakpoint
ALTER TABLE "label_task" ADD COLUMN "confidence" double precision;--> statement-breakpoint
ALTER TABLE "label_task" ADD COLUMN "review" text;--> statement-breakpoint
ALTER TABLE "label_task" ADD COLUMN "reviewer" text;--> statement-breakpoint
ALTER TABLE "label_task" ADD COLUMN "again" text;--> statement-breakpoint
ALTER TABLE "lease" ADD COLUMN "place" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "lease" ADD COLUMN "leased_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "batch_labeler" ADD CONSTRAINT "batch_labeler_batch_label_batch_id_fk" FOREIGN KEY ("batch") REFERENCES "public"."label_batch"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "label_review" ADD CONSTRAINT "label_review_task_label_task_id_fk" FOREIGN KEY ("task") REFERENCES "public"."label_task"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "labeler" ADD CONSTRAINT "labeler_project_project_name_fk" FOREIGN KEY ("project") REFERENCES "public"."project"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "label_review_task" ON "label_review" USING btree ("task");--> statement-breakpoint
UPDATE "label_batch" SET "kind" = 'number' WHERE "task" = 'regression';--> statement-breakpoint
UPDATE "label_task" SET "answered" = 1 WHERE "status" IN ('labelled', 'skipped');--> statement-breakpoint
UPDATE "label_task" t SET "floor" = coalesce((SELECT max(a."fence") FROM "annotation" a WHERE a."task" = t."id" AND a."outcome" = 'accepted') - CASE WHEN t."status" = 'open' THEN 0 ELSE 1 END, 0);--> statement-breakpoint
INSERT INTO "batch_labeler" ("batch", "labeler", "served")
SELECT t."batch", a."annotator", count(*)::int FROM "annotation" a JOIN "label_task" t ON t."id" = a."task" GROUP BY 1, 2;--> statement-breakpoint
ALTER TABLE "label_task" DROP COLUMN "annotator";--> statement-breakpoint
ALTER TABLE "annotation" ADD CONSTRAINT "annotation_outcome_word" CHECK ("outcome" in ('accepted', 'surplus', 'skipped'));--> statement-breakpoint
ALTER TABLE "label_batch" ADD CONSTRAINT "label_batch_kind_word" CHECK ("kind" in ('single', 'multiple', 'span', 'box', 'number', 'preference'));--> statement-breakpoint
ALTER TABLE "label_task" ADD CONSTRAINT "label_task_review_word" CHECK ("review" in ('accept', 'fix', 'send-back', 'dispute'));--> statement-breakpoint
ALTER TABLE "label_task" ADD CONSTRAINT "label_task_again_word" CHECK ("again" in ('same', 'other'));--> statement-breakpoint
ALTER TABLE "label_task" ADD CONSTRAINT "label_task_overlap" CHECK ("gold" is not null or "answered" <= "wanted");--> statement-breakpoint
CREATE INDEX "label_task_open" ON "label_task" USING btree ("batch","position") WHERE "status" = 'open' and "gold" is null;--> statement-breakpoint
CREATE INDEX "label_task_gold" ON "label_task" USING btree ("batch","position") WHERE "gold" is not null;
