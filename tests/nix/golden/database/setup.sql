CREATE DATABASE "reelmill-hub";
CREATE ROLE "reelmill-hub" LOGIN;
ALTER DATABASE "reelmill-hub" OWNER TO "reelmill-hub";
