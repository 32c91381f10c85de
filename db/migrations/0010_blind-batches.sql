ALTER TABLE "label_batch" ADD COLUMN "salt" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "label_batch" ADD COLUMN "blind" boolean DEFAULT false NOT NULL;