DROP INDEX "outbox_coalesce";--> statement-breakpoint
ALTER TABLE "outbox" ADD COLUMN "claimed_until" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "pipeline" ADD COLUMN "due_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "run" ADD COLUMN "dataset" text;--> statement-breakpoint
UPDATE "run" SET "dataset" = "pipeline"."dataset" FROM "pipeline" WHERE "pipeline"."id" = "run"."pipeline";--> statement-breakpoint
ALTER TABLE "run" ALTER COLUMN "dataset" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "run" ADD CONSTRAINT "run_dataset_dataset_id_fk" FOREIGN KEY ("dataset") REFERENCES "public"."dataset"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "outbox_coalesce" ON "outbox" USING btree ("coalesce_key") WHERE "sent_at" is null and "claimed_until" is null;