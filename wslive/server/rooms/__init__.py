"""The rooms of this process, each with one writer: what it decides, stores, has told, and which keys it keeps."""
