CREATE TABLE "auto_batch" (
	"id" text PRIMARY KEY NOT NULL,
	"campaign" text NOT NULL,
	"round" integer NOT NULL,
	"batch" text NOT NULL,
	"dataset" text NOT NULL,
	"status" text NOT NULL,
	"number" integer NOT NULL,
	"tested" boolean NOT NULL,
	"threshold" double precision,
	"coverage" double precision NOT NULL,
	"tests" jsonb NOT NULL,
	"why" text NOT NULL,
	"pool" integer NOT NULL,
	"sample" integer NOT NULL,
	"covered" jsonb NOT NULL,
	"population" integer NOT NULL,
	"audit" integer NOT NULL,
	"audited" integer DEFAULT 0 NOT NULL,
	"errors" integer DEFAULT 0 NOT NULL,
	"lo" double precision,
	"hi" double precision,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"decided_at" timestamp with time zone,
	CONSTRAINT "auto_batch_round" UNIQUE("campaign","round"),
	CONSTRAINT "auto_batch_batch" UNIQUE("batch"),
	CONSTRAINT "auto_batch_id_prefix" CHECK (starts_with("id", 'aut_')),
	CONSTRAINT "auto_batch_status_word" CHECK ("status" in ('none', 'landing', 'standing', 'revoked', 'void'))
);
--> statement-breakpoint
CREATE TABLE "auto_label" (
	"auto_batch" text NOT NULL,
	"key" text NOT NULL,
	"label" text NOT NULL,
	"confidence" double precision NOT NULL,
	"audit" integer,
	"tries" integer DEFAULT 0 NOT NULL,
	"asked" text,
	"answer" text,
	CONSTRAINT "auto_label_auto_batch_key_pk" PRIMARY KEY("auto_batch","key")
);
--> statement-breakpoint
ALTER TABLE "label_task" DROP CONSTRAINT "label_task_reason_word";--> statement-breakpoint
ALTER TABLE "dataset_version" ADD COLUMN "auto_batches" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "dataset_version" ADD COLUMN "superseded" jsonb;--> statement-breakpoint
ALTER TABLE "auto_batch" ADD CONSTRAINT "auto_batch_campaign_campaign_id_fk" FOREIGN KEY ("campaign") REFERENCES "public"."campaign"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "auto_batch" ADD CONSTRAINT "auto_batch_batch_label_batch_id_fk" FOREIGN KEY ("batch") REFERENCES "public"."label_batch"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "auto_label" ADD CONSTRAINT "auto_label_asked_label_batch_id_fk" FOREIGN KEY ("asked") REFERENCES "public"."label_batch"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "auto_label" ADD CONSTRAINT "auto_label_auto_batch_auto_batch_id_fk" FOREIGN KEY ("auto_batch") REFERENCES "public"."auto_batch"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "auto_batch_standing" ON "auto_batch" USING btree ("dataset") WHERE "status" in ('landing', 'standing');--> statement-breakpoint
CREATE INDEX "auto_label_audit" ON "auto_label" USING btree ("auto_batch","audit") WHERE "audit" is not null;--> statement-breakpoint
CREATE INDEX "auto_label_asked" ON "auto_label" USING btree ("asked") WHERE "asked" is not null;--> statement-breakpoint
ALTER TABLE "label_task" ADD CONSTRAINT "label_task_reason_word" CHECK ("reason" in ('strategy', 'explore', 'named', 'audit'));