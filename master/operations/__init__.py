"""Operations that reserve resources and make volumes: who may, and how far they are."""
