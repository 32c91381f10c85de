// Who reads a page that the server renders.

export interface Reader {
  project: string;
  /** The subject of the token; null: nobody is known, the script may say a name. */
  name: string | null;
  /** Sees who does how well, and what labels are. */
  reviewer: boolean;
  /** Begins and stops things. */
  operator: boolean;
}
